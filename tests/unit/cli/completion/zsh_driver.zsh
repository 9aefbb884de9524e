# zsh_driver.zsh DIRECTORY LINE...: what becomes of each line when Tab is pressed behind it, one line each, in
# angle brackets. DIRECTORY holds _walstitch. 77: this zsh has no pseudo-terminals.
zmodload zsh/zpty || exit 77
zpty shell zsh -f -i
zpty -w shell "PS1= PS2= RPS1=; fpath=( ${(q)1} \$fpath ); autoload -U compinit; compinit -u -D
show() { print -rn -- \$'\\n'\"<\$BUFFER>\"; BUFFER= }; zle -N show; bindkey '^X' show; bindkey '^I' complete-word
setopt no_list_beep no_beep; unset zle_bracketed_paste; print -r -- re''ady"
zpty -r shell out '*ready*'
shift
for line in "$@"; do
  zpty -w -n shell "$line"$'\t\x18'
  zpty -r shell out $'*\n<*>'
  print -r -- "${out##*$'\n'}"
done
zpty -d shell
