"""A load generator for any OpenAI-compatible service: it speaks HTTP and knows nothing inside."""
