"""The command line's verbs, one file each: a composed configuration in, an exit status out."""
