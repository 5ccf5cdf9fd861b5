# Completion of martletctl for bash. martletctl itself knows what fits: "martletctl --complete".
_martletctl()
{
    local line=${COMP_LINE:0:COMP_POINT} candidate current prefix
    local -a words=()
    # Words as the shell will see them: bash has split them at "@", ":" and "=" as well.
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    ((${#words[@]})) || return
    current=${words[-1]}
    # What of the current word stands before the part that bash replaces.
    prefix=${current%"${current##*["$COMP_WORDBREAKS"]}"}
    COMPREPLY=()
    while IFS= read -r candidate; do
        case $candidate in
            @file) compopt -o default 2> /dev/null ;;
            @dir) compopt -o dirnames 2> /dev/null ;;
            *)
                printf -v candidate %q "$candidate"
                COMPREPLY+=("${candidate#"$prefix"}") ;;
        esac
    done < <("${words[0]/#\~/$HOME}" --complete $((${#words[@]} - 1)) "${words[@]}" 2> /dev/null)
} && complete -F _martletctl martletctl
