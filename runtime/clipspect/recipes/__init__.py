"""What is inspected: words and their text features, references and galleries, limits; and how recipes are made."""
