"""The commands of ``halfkick``: what each is asked, and what it starts."""
