# Where import, cut and gen write: what becomes of a file that is there, of links, and of what a
# failure or an interruption leaves.
set -eu

fail() {
    echo "FAIL: $*"
    ls -l
    exit 1
}
no_parts() {
    [ -z "$(find . -name '*.part' ! -name mine.zst.part)" ] || fail "$1: a part is left"
}
make() { haktrace gen -o "$1" random_mixed "${2:-1000}" 100 1; }

umask 022
make new.zst
[ "$(stat -c %a new.zst)" = 644 ] || fail "the mode of a new file"
make want.zst 2000

# The mode stays, and the owner where that can be.
make kept.zst
chmod 640 kept.zst
if [ "$(id -u)" = 0 ]; then chown 1:1 kept.zst; fi
before=$(stat -c '%a %u %g' kept.zst)
haktrace cut -o kept.zst want.zst
[ "$(stat -c '%a %u %g' kept.zst)" = "$before" ] || fail "the mode: $before before"
haktrace verify -q kept.zst

# A link stays a link, also one to nothing yet; another name of the file keeps its content.
mkdir far
make far/t.zst
ln -s far/t.zst link.zst
ln -s far/none.zst dangling.zst
ln far/t.zst other.zst
cp far/t.zst copy.zst
make link.zst 2000
make dangling.zst 2000
[ -L link.zst ] && [ -L dangling.zst ] || fail "a link became a file"
cmp link.zst want.zst && cmp far/t.zst want.zst && cmp far/none.zst want.zst || fail "links"
cmp other.zst copy.zst || fail "the other name of a file that was replaced"

# A file of the user's that is called so is nobody's to overwrite.
echo mine >mine.zst.part
make mine.zst
[ "$(cat mine.zst.part)" = mine ] || fail "somebody's file was overwritten"

# A file in a folder that may not be written, by somebody who is bound by that.
mkdir shut
make shut/t.zst
chmod 666 shut/t.zst
chmod 555 shut
chmod o+x . 2>/dev/null || true
as=()
if [ "$(id -u)" = 0 ]; then as=(setpriv --reuid=65534 --regid=65534 --clear-groups); fi
if "${as[@]}" test -w shut/t.zst && "${as[@]}" test -x "$BIN/haktrace" && ! "${as[@]}" test -w shut; then
    "${as[@]}" "$BIN/haktrace" gen -o shut/t.zst random_mixed 2000 100 1 || fail "a file in a folder that may not be written"
    cmp shut/t.zst want.zst
else
    echo "a shut folder: not tried, it cannot be made here"
fi
chmod 755 shut

# Ended by a signal while it writes: as it was before, and nothing beside it.
mkfifo slow
for signal in TERM HUP; do
    cp want.zst kept.zst
    haktrace import -f rep -o kept.zst - <slow 2>err &
    import=$!
    exec 3>slow
    printf '1000\n1\n2\n1\na 0 100\n' >&3
    for _ in $(seq 600); do
        [ -z "$(find . -name 'kept.zst.*.part')" ] || break
        sleep 0.05
    done
    [ -n "$(find . -name 'kept.zst.*.part')" ] || fail "no part was written"
    kill -$signal $import
    rc=0
    wait $import || rc=$?
    exec 3>&-
    [ $rc = $((128 + $(kill -l $signal))) ] || fail "SIG$signal: exit code $rc: $(cat err)"
    cmp kept.zst want.zst || fail "SIG$signal: the file that was there"
    no_parts SIG$signal
done

# A limit on file sizes, and a full disk.
rc=0
(ulimit -f 8; exec haktrace gen -o kept.zst random_mixed 300000 1000 1) 2>err || rc=$?
[ $rc = 1 ] && grep -q 'File too large' err || fail "RLIMIT_FSIZE: exit code $rc: $(cat err)"
cmp kept.zst want.zst || fail "RLIMIT_FSIZE: the file that was there"
no_parts RLIMIT_FSIZE
rc=0
haktrace gen -o - random_mixed 300000 1000 1 >/dev/full 2>err || rc=$?
[ $rc = 1 ] && grep -q 'No space left' err || fail "/dev/full: exit code $rc: $(cat err)"
echo ok
