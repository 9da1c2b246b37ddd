"""The emulated AWS: MiniStack, with the few gaps closed that Headrace's behaviour rests on."""
