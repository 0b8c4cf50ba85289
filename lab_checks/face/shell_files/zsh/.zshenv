# zsh in a JupyterLab terminal reads this file first, because ZDOTDIR names its folder. ZDOTDIR becomes what it was at once, so that zsh reads the
# learner's own start files from where they are; the course's lines are evaluated once, before the first prompt, which comes after all of them.
if [[ -n ${AI_LAB_ZDOTDIR+set} ]]; then
  export ZDOTDIR=$AI_LAB_ZDOTDIR
  unset AI_LAB_ZDOTDIR
else
  unset ZDOTDIR
fi
_ai_lab_lines=$AI_LAB_SHELL_SETUP
unset AI_LAB_SHELL_SETUP
_ai_lab_setup() {
  emulate -L zsh
  eval "$_ai_lab_lines"
  unset _ai_lab_lines
  precmd_functions=(${precmd_functions:#_ai_lab_setup})
  preexec_functions=(${preexec_functions:#_ai_lab_setup})
  unfunction _ai_lab_setup
}
# preexec too: a start file may set the one list anew.
precmd_functions+=(_ai_lab_setup)
preexec_functions+=(_ai_lab_setup)
if [[ -r ${ZDOTDIR:-$HOME}/.zshenv ]]; then
  source "${ZDOTDIR:-$HOME}/.zshenv"
fi
