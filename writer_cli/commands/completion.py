"""`writer completion`: the script that lets a shell complete our commands and flags.

The shell asks `writer __complete WORD...`, whose last word is the one to complete, and gets a line
for each word that would fit: the word, a tab, what it means. The line `:files` asks the shell for
its file names.
"""

from typing import Annotated, Literal

import typer

from writer_cli.commands.app import App
from writer_cli.commands.global_options import CommonOptions
from writer_cli.commands.parsing import as_command
from writer_cli.output import documents

Shell = Literal["bash", "zsh", "fish"]

BASH = r"""# Lets bash complete the commands and flags of writer.
_writer_completion() {
    # Bash breaks words at = and : too; put together what has no blank between.
    local rest=$COMP_LINE words=() word i
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $i == 0 || $rest == [[:space:]]* ]]; then
            rest=${rest#"${rest%%[![:space:]]*}"}
            words+=("$word")
        else
            words[${#words[@]} - 1]+=$word
        fi
        rest=${rest#"$word"}
    done
    local current=${words[${#words[@]} - 1]} last=${COMP_WORDS[COMP_CWORD]} value
    [[ $last == [=:] ]] && last=
    local before=${current%"$last"}
    COMPREPLY=()
    while IFS=$'\t' read -r value _; do
        if [[ $value == :files ]]; then
            compopt -o filenames 2>/dev/null
            while read -r value; do COMPREPLY+=("$value"); done < <(compgen -f -- "$last")
        else
            COMPREPLY+=("${value#"$before"}")
        fi
    done < <("${words[0]}" __complete "${words[@]:1}" 2>/dev/null)
}
complete -F _writer_completion writer writer-cli
"""

ZSH = r"""#compdef writer writer-cli
# Lets zsh complete the commands and flags of writer.
_writer() {
    local -a described
    local line files
    for line in "${(@f)$("${words[1]}" __complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)}"; do
        if [[ $line == :files ]]; then
            files=1
        elif [[ -n $line ]]; then
            described+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
        fi
    done
    (( $#described )) && _describe writer described
    if [[ -n $files ]]; then
        compset -P '-*='
        _files
    fi
}
if [[ $funcstack[1] == _writer ]]; then
    _writer "$@"
else
    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
    compdef _writer writer writer-cli
fi
"""

FISH = r"""# Lets fish complete the commands and flags of writer.
function __writer_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in (command $words[1] __complete $words[2..-1] "$current" 2>/dev/null)
        if test "$line" = :files
            set -l before (string match -r -- '^-[^=]*=' "$current")
            set -l path (string replace -r -- '^-[^=]*=' '' "$current")
            __fish_complete_path "$path" | string replace -r -- '^' "$before"
        else
            echo $line
        end
    end
end
complete -c writer -f -a '(__writer_complete)'
complete -c writer-cli -f -a '(__writer_complete)'
"""

SCRIPTS: dict[str, str] = {"bash": BASH, "zsh": ZSH, "fish": FISH}


class CompletionOptions(CommonOptions):
    """The argument that names the shell."""

    shell: Annotated[
        Shell,
        typer.Argument(help="The shell that you use.", rich_help_panel="Input"),
    ]


def run(options: CompletionOptions, app: App) -> None:
    """Print the script for a shell."""
    script = SCRIPTS[options.shell]
    if options.json:
        documents.write_json(app.terminal, shell=options.shell, script=script)
    else:
        app.terminal.write(script)


def register(app: typer.Typer) -> None:
    """Add the command to a Typer app."""
    app.command("completion")(as_command(CompletionOptions, run))
