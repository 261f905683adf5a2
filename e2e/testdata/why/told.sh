# Prints what AWS's API says of the task, or of the service (CLUSTER/SERVICE) $1,
# and what `minato why` does: a line for each cause, what shows it, what mends it.
# As people see it, it has to fit a screen of 24 lines by 100 columns; only a word that is longer itself, such as an
# ARN, stays whole.
. $ROOT/e2e/testdata/why/lib.sh
case $1 in
*task/*) jq -r --arg arn $1 '.tasks[] | select(.taskArn == $arn) | .stoppedReason, (.containers[] | "\(.name): \(.exitCode) \(.reason // "")")' tasks.json ;;
chat/*) ecs DescribeServices '{"cluster":"chat","services":["'${1#chat/}'"]}' | jq -r '.services[].events[].message' | sort -u ;;
esac
mkdir -p screens
screen=screens/$(echo $1 | tr -c 'a-z0-9\n' -)
while [ -e $screen ]; do screen=$screen-; done # asked before
minato why "$@" >$screen || exit 1
[ $(wc -l <$screen) -le 24 ] && ! grep -vE '^ *[^ ]+$' $screen | grep -qE '^.{101}' || { echo "more than a screen"; cat $screen; exit 1; }
minato why -o json "$@" | jq -r '.[0] | "STATE \(.state): \(.summary)", (.causes[]?, .refused[]? | "CAUSE \(.what)", "SEEN \(.evidence[]?)", "MEND \(.remedy[]?)"), "WAITS \(.waits[]?)", "PROOF \(.proof[]?)"'
