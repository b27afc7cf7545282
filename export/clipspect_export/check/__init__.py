"""What a written graph is compared with: the torch reference's answers to check images, and the parity record."""
