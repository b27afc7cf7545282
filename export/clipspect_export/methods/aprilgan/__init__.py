"""APRIL-GAN (Chen et al. 2023): trained linear layers take patches to where the text is."""
