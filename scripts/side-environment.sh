# Sourced by the scripts that prepare an environment beside that of `make test`: torch as pinned, and
# what the script itself installs with "${pip[@]}". Ends the script when all is there.
#
# usage: . scripts/side-environment.sh SCRIPT VENV; ...; finish
venv=$2
stamp="$venv/.samari-$(cat constraints.txt scripts/side-environment.sh "$1" | cksum | tr ' ' '-')"
[ -e "$stamp" ] && exit 0

pin=$(sed -n 's/^torch==//p' constraints.txt)
[ -x "$venv/bin/python" ] || "${PYTHON:-python3}" -m venv "$venv"
pip=("$venv/bin/python" -m pip install -qq)
# The CPU build is a tenth of the default one; where no index offers it, the default one serves.
"${pip[@]}" "torch==$pin+cpu" 2>/dev/null ||
    "${pip[@]}" "torch==$pin"

finish() {
    rm -f "$venv"/.samari-*
    touch "$stamp"
}
