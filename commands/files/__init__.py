"""What commands read and write: pictures, arrays, text, released models and runs."""
