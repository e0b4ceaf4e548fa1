"""`report.html`: one self-contained page about one run, for people. Renders documents; needs no TensorFlow."""
