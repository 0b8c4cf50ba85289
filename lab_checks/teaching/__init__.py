"""What an instructor needs beside the labs: slides, a timetable, a test before and after, certificates. Everything works without a network."""
