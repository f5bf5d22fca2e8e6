"""From a `.tflite` file to a `Graph`, and back."""
