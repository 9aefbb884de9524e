# bash_driver.bash SCRIPT LINE...: what is offered behind each line, one line each, words with blanks between.
source "$1"
shift
for line in "$@"; do
  COMP_LINE=$line COMP_POINT=${#line} COMPREPLY=()
  _walstitch walstitch
  echo "${COMPREPLY[*]}"
done
