"""Headers and checks that keep strangers and other sites out."""
