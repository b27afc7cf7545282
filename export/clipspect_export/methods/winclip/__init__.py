"""WinCLIP (Jeong et al. 2023): windows of patches compared with words, and WinCLIP+ with references."""
