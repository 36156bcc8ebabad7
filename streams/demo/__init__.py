"""`leadstream demo`: an invented B2B site, played through real requests, measured from outside while a worker is killed."""
