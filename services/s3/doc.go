// Package s3 serves Amazon S3: buckets, objects, uploads in parts, bucket
// policies, and what clients read of a bucket on their own.
//
//	s3/bucket/<partition>/<region>/<name>                  the bucket and its settings
//	s3/object/<partition>/<region>/<bucket id>/<key>       an object: headers, tags, checksum, where its content is
//	s3/object-version/.../<bucket id>/<key>\x00<order>     a version that is not the current one, or a delete marker
//	s3/head/<partition>/<region>/<bucket id>/<key>         what is known of the versions of a key
//	s3/upload/<partition>/<region>/<bucket id>/<id>        an upload in parts
//	s3/part/<partition>/<region>/<bucket id>/<id>/<nnnnn>  a part of it
//
// Names of buckets are the partition's, not an account's: the record says whose a
// bucket is. The bucket id is made with the bucket, so that one made again under
// the same name shows nothing of the former. The key of an object stands in the
// record's key as it is: their order is then S3's, that of the bytes.
//
// # Content
//
// The content is in files (dataplane/blobs), encrypted under the instance's key:
// what S3 calls SSE-S3, and answers with x-amz-server-side-encryption: AES256.
// The file is on the disk before the record that names it is committed, and the
// answer comes after that; a file that no record names is swept.
//
//	PutObject            file ──► record (the former's file goes)
//	UploadPart           file ──► part
//	CompleteMultipart    parts' files ──► one record that lists them: nothing is copied
//	CopyObject           a second name of the same file
//	DeleteObject         record, then file
//
// # Versions
//
// The current version of a key is the object, whether its bucket keeps versions or
// not: reads and lists of objects know of nothing else. The others are beside it,
// the newest first, and so is a delete marker, also a current one. Every change of
// what is current goes through the key's head, in one transaction with it:
//
//	put                     object ──► version, and the new object
//	delete                  object ──► version, and a delete marker
//	either, Suspended       the same, but the version null goes, and the new one is null
//	delete of the current   the newest of the others ──► object
//	  version for good
//
// # Lifecycle
//
// Package lifecycle says what is due (pure); a reconciler looks at everything in a
// bucket with rules at midnight UTC, hourly, and when the rules change. It does
// each thing in a transaction in which the version still is what was looked at.
//
// # Deletion of a bucket
//
// A bucket is marked, looked at, and deleted or unmarked: every write to it reads
// its record in the same transaction, so that none comes in between. A mark that
// a crash left is taken off by the sweeper.
//
// Not here: ACLs (buckets are BucketOwnerEnforced, as new ones on AWS are), keys of
// KMS that are named or keys of the client, MFA delete, lifecycle transitions,
// replication, notifications, websites, CORS, object lock, storage classes but
// STANDARD, access points, directory buckets. They are refused, by name.
package s3
