
#compdef colorize

_colorize_completion() {
  eval $(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _COLORIZE_COMPLETE=complete_zsh colorize)
}

compdef _colorize_completion colorize

