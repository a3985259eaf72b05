"""The whole upgrade on real servers, for somebody who watches: `make demo`."""
