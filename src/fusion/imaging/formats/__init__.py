"""One file per family of image formats; each turns a file and a choice of frame into a `Raster`."""
