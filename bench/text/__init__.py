"""What is written beside images: titles as words, their encodings, class names among their words."""
