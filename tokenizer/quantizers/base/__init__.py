"""What every quantizer is and uses: its interface, exact search, k-means."""
