"""Similarity of two photos: transforms, scores, embeddings."""
