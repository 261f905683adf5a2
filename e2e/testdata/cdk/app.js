// The workshop as a CDK app: a VPC over two zones, a database with a secret, a
// service on Fargate behind a load balancer, with what people add to it.
// COUNT and ANSWER change it.
const cdk = require('aws-cdk-lib');
const ec2 = require('aws-cdk-lib/aws-ec2');
const ecr = require('aws-cdk-lib/aws-ecr');
const ecs = require('aws-cdk-lib/aws-ecs');
const elb = require('aws-cdk-lib/aws-elasticloadbalancingv2');
const logs = require('aws-cdk-lib/aws-logs');
const rds = require('aws-cdk-lib/aws-rds');
const cloudwatch = require('aws-cdk-lib/aws-cloudwatch');

const app = new cdk.App();
const stack = new cdk.Stack(app, 'chat');

const vpc = new ec2.Vpc(stack, 'Vpc', {
  maxAzs: 2,
  natGateways: 1,
  restrictDefaultSecurityGroup: false, // that takes a Lambda function
});
const database = new rds.DatabaseInstance(stack, 'Database', {
  vpc,
  engine: rds.DatabaseInstanceEngine.mysql({ version: rds.MysqlEngineVersion.of('8.0.43', '8.0') }),
  instanceType: ec2.InstanceType.of(ec2.InstanceClass.T3, ec2.InstanceSize.MICRO),
  databaseName: 'chat',
  storageEncrypted: false,
  removalPolicy: cdk.RemovalPolicy.DESTROY,
});
const task = new ecs.FargateTaskDefinition(stack, 'Task', { cpu: 256, memoryLimitMiB: 512 });
task.addContainer('web', {
  image: ecs.ContainerImage.fromEcrRepository(ecr.Repository.fromRepositoryName(stack, 'Repository', 'web'), 'v1'),
  command: ['serve', process.env.ANSWER || 'one'],
  portMappings: [{ containerPort: 80 }],
  logging: ecs.LogDrivers.awsLogs({ streamPrefix: 'web', logGroup: new logs.LogGroup(stack, 'Logs', { removalPolicy: cdk.RemovalPolicy.DESTROY }) }),
  environment: { DB_HOST: database.dbInstanceEndpointAddress },
  secrets: { DB_PASSWORD: ecs.Secret.fromSecretsManager(database.secret, 'password') },
});
const service = new ecs.FargateService(stack, 'Service', {
  cluster: new ecs.Cluster(stack, 'Cluster', { vpc }),
  taskDefinition: task,
  desiredCount: Number(process.env.COUNT || 2),
  minHealthyPercent: 100,
  circuitBreaker: { rollback: true },
  enableExecuteCommand: true,
});
service.connections.allowTo(database, ec2.Port.tcp(3306));
const balancer = new elb.ApplicationLoadBalancer(stack, 'Balancer', { vpc, internetFacing: true });
const listener = balancer.addListener('Http', { port: 80 });
const group = listener.addTargets('Web', {
  port: 80,
  targets: [service],
  healthCheck: { interval: cdk.Duration.seconds(5), timeout: cdk.Duration.seconds(2) },
  deregistrationDelay: cdk.Duration.seconds(5),
});
listener.addAction('Fixed', {
  priority: 10,
  conditions: [elb.ListenerCondition.pathPatterns(['/fixed'])],
  action: elb.ListenerAction.fixedResponse(200, { contentType: 'text/plain', messageBody: 'fixed' }),
});
service.autoScaleTaskCount({ minCapacity: 1, maxCapacity: 4 }).scaleOnRequestCount('Requests', { requestsPerTarget: 100000, targetGroup: group });
new cloudwatch.Alarm(stack, 'Errors', { metric: balancer.metrics.httpCodeElb(elb.HttpCodeElb.ELB_5XX_COUNT), threshold: 5, evaluationPeriods: 2 });
new cdk.CfnOutput(stack, 'Name', { value: balancer.loadBalancerName });
