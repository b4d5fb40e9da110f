"""The contract leukd.v1, generated from proto/ by generate.py."""
