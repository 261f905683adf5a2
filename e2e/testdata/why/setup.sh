# Makes the world of the scripts of `minato why`, and prints its ids as JSON.
set -e
exec 3>&1 1>&2
. $ROOT/e2e/testdata/why/lib.sh
mkdir image; cp "$SERVER" image/server; printf 'FROM scratch\nCOPY server /server\nENTRYPOINT ["/server"]\n' >image/Dockerfile
signed cloudformation --data-urlencode Action=CreateStack --data-urlencode Version=2010-05-15 --data-urlencode StackName=world --data-urlencode Capabilities.member.1=CAPABILITY_NAMED_IAM \
  --data-urlencode TemplateBody@$ROOT/e2e/testdata/why/world.yaml >/dev/null
for _ in $(seq 1000); do
  signed cloudformation -d 'Action=DescribeStacks&Version=2010-05-15&StackName=world' | grep -q '<StackStatus>CREATE_COMPLETE' && break
  sleep 0.2
done
minato build -t $uri:1 --push image
a cloudformation describe-stacks --stack-name world | jq '.Stacks[0].Outputs | map({(.OutputKey): .OutputValue}) | add' >&3
