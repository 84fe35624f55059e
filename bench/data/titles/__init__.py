"""Product titles: words, class names in titles, titles of a stage."""
