"""GRIT-VQ (arXiv 2602.01140): a level, its radius, its transform, its raw codebook."""
