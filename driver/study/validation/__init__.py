"""The proof, on water, of what direct forces do alone and of what MTS makes of them."""
