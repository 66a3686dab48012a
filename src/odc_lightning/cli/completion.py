"""Shell completion of ``odc``: its commands, and the settings that Hydra completes."""

import logging
from collections.abc import Mapping

from odc_lightning.config import CONFIG_DIR

_BASH = r"""_odc() {
    local line="${COMP_LINE:0:$COMP_POINT}" IFS=$'\n'
    local word="${line##* }"
    COMPREPLY=($(odc completion query "$line" 2>/dev/null))
    # If bash ends words at =, it expects only the part after it.
    if [[ "$COMP_WORDBREAKS" == *"="* && "$word" == *"="* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*=}"}"}")
    fi
}
complete -o nospace -o default -F _odc odc"""
_ZSH = f"""autoload -U +X compinit && compinit
autoload -U +X bashcompinit && bashcompinit
{_BASH}"""
_FISH = """function __odc_complete
    odc completion query (commandline -cp | string collect) 2>/dev/null
end
complete -c odc -a '(__odc_complete)'"""
_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
SHELLS = tuple(_SCRIPTS)


def script(shell: str) -> str:
    """The completion script of a shell."""
    return _SCRIPTS[shell]


def query(line: str, commands: Mapping[str, bool]) -> list[str]:
    """The completions of a line's last word; without any, the shell completes file names.

    Args:
        line: the line up to the cursor, such as ``odc train exp``.
        commands: name -> whether Hydra knows its settings.
    """
    words = line.split(" ")
    if len(words) < 2:
        return []
    if len(words) == 2:
        return [f"{name} " for name in commands if name.startswith(words[1])]
    name, last = words[1], words[-1]
    if name == "completion":
        return [shell for shell in SHELLS if shell.startswith(last)]
    if not commands.get(name, False):
        return []
    return _settings(name, [word for word in words[2:-1] if _is_plain(word)], last)


def _settings(name: str, overrides: list[str], last: str) -> list[str]:
    """Hydra's completions for ``python -m odc_lightning.NAME``."""
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    logging.disable()
    try:
        # A private module: with another version of Hydra there may be no completions.
        from hydra._internal.core_plugins.bash_completion import BashCompletion

        with initialize_config_dir(CONFIG_DIR, version_base="1.3"):
            completion = BashCompletion(GlobalHydra.instance().config_loader())
            words: list[str] = completion._query(name, " ".join([*overrides, last]))
            return words
    except Exception:  # an incomplete line can cause any error
        return []
    finally:
        logging.disable(logging.NOTSET)


def _is_plain(word: str) -> bool:
    """Whether a word is an override without quotes, on which other overrides may depend."""
    return "=" in word and not any(mark in word for mark in "'\"\\")
