"""Archives of images, inspected by many processes over Ray: the records of all as Parquet, each image once."""
