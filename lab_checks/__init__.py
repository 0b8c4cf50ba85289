"""What makes an exercise right: checks that look at a live cluster, and the faces through which a learner meets them."""
