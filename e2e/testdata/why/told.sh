# Prints what AWS's API says of the task $1 and what `minato why` does: a line for
# each cause, what shows it, what mends it. As people see it, it has to fit a
# screen of 24 lines by 100 columns.
[ ! -e tasks.json ] || jq -r --arg arn $1 '.tasks[] | select(.taskArn == $arn) | .stoppedReason, (.containers[] | "\(.name): \(.exitCode) \(.reason // "")")' tasks.json
minato why $1 >why || exit 1
[ $(wc -l <why) -le 24 ] && ! grep -qE '^.{101}' why || { echo "more than a screen"; cat why; exit 1; }
minato why -o json $1 | jq -r '.[0] | "STATE \(.state): \(.summary)", (.causes[]?, .refused[]? | "CAUSE \(.what)", "SEEN \(.evidence[]?)", "MEND \(.remedy[]?)"), "WAITS \(.waits[]?)", "PROOF \(.proof[]?)"'
