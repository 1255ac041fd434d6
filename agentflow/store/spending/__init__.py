"""What runs spend on language models and may spend, and what agents keep beside their journals."""
