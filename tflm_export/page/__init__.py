"""Pages that people look at: one HTML file that needs nothing else, with pictures in SVG."""
