"""The device's side: what a Raspberry Pi runs. Imports nothing scientific and none of ours."""
