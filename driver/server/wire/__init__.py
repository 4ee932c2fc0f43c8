"""The conversation with i-PI: messages, their order, connections, and who reads them."""
