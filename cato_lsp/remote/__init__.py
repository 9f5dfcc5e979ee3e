"""An engine on a team's server: the protocol between laptop and server, and the laptop's side."""
