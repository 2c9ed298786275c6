"""What runs models: a file per engine, a worker process around each, a late-importing registry."""
