"""The faces of semid: HTTP, command line, web page."""
