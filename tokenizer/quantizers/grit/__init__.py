"""GRIT-VQ (arXiv 2602.01140): its level, radius families, transforms and raw codebook."""
