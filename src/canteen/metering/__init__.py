"""What was eaten and drunk: quantities of each request, and where they are kept."""
