n=$([ "$1" = full ] && echo 60000 || echo 6000)
declare -A h
a=()
for ((i = 0; i < n; i++)); do
    k=$((i * 7919 % 1009))
    h[$k]+="${i:0:3}"
    a+=("item $i ${h[$k]: -5}")
    ((i % 1000)) || a=("${a[@]:500}")
done
text="${a[*]}"
text=${text//item /x}
echo "${#text} ${#h[@]} ${text: -60}"
for k in $(printf '%s\n' "${!h[@]}" | sort -n | head -50); do echo "$k $(printf %s "${h[$k]}" | cksum)"; done
