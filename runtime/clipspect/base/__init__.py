"""What every room stands on, without a word of images: errors, typed documents, whole files, locks."""
