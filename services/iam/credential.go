package iam

import (
	"context"

	"minato/aws"
	iamapi "minato/aws/api/iam"
)

// Users have access keys here, and no other credentials: passwords of the AWS
// console, MFA devices, SSH keys, signing certificates and service-specific
// credentials cannot be made, so that nobody has one. Who takes a user down asks
// for each of them first.

// owner is the name of the user that an operation is about, who must exist.
func (s *Service) owner(ctx context.Context, name *string) (string, error) {
	n, err := ownName(ctx, name)
	if err != nil {
		return "", err
	}
	_, err = s.user(ctx, n)
	return n, err
}

func (s *Service) noLoginProfile(ctx context.Context, name *string) error {
	n, err := s.owner(ctx, name)
	if err != nil {
		return err
	}
	return iamapi.NoSuchEntityException("Login Profile for User %s cannot be found.", n)
}

// GetLoginProfile tells that a user has no password.
func (s *Service) GetLoginProfile(ctx context.Context, in *iamapi.GetLoginProfileInput) (*iamapi.GetLoginProfileOutput, error) {
	return nil, s.noLoginProfile(ctx, in.UserName)
}

// DeleteLoginProfile tells that a user has no password.
func (s *Service) DeleteLoginProfile(ctx context.Context, in *iamapi.DeleteLoginProfileInput) (*iamapi.DeleteLoginProfileOutput, error) {
	return nil, s.noLoginProfile(ctx, in.UserName)
}

// ListMFADevices lists a user's MFA devices: none.
func (s *Service) ListMFADevices(ctx context.Context, in *iamapi.ListMFADevicesInput) (*iamapi.ListMFADevicesOutput, error) {
	_, err := s.owner(ctx, in.UserName)
	return &iamapi.ListMFADevicesOutput{MFADevices: []iamapi.MFADevice{}, IsTruncated: aws.Ptr(false)}, err
}

// ListSSHPublicKeys lists a user's SSH keys: none.
func (s *Service) ListSSHPublicKeys(ctx context.Context, in *iamapi.ListSSHPublicKeysInput) (*iamapi.ListSSHPublicKeysOutput, error) {
	_, err := s.owner(ctx, in.UserName)
	return &iamapi.ListSSHPublicKeysOutput{SSHPublicKeys: []iamapi.SSHPublicKeyMetadata{}, IsTruncated: aws.Ptr(false)}, err
}

// ListSigningCertificates lists a user's signing certificates: none.
func (s *Service) ListSigningCertificates(ctx context.Context, in *iamapi.ListSigningCertificatesInput) (*iamapi.ListSigningCertificatesOutput, error) {
	_, err := s.owner(ctx, in.UserName)
	return &iamapi.ListSigningCertificatesOutput{Certificates: []iamapi.SigningCertificate{}, IsTruncated: aws.Ptr(false)}, err
}

// ListServiceSpecificCredentials lists a user's credentials of single services:
// none.
func (s *Service) ListServiceSpecificCredentials(ctx context.Context, in *iamapi.ListServiceSpecificCredentialsInput) (*iamapi.ListServiceSpecificCredentialsOutput, error) {
	_, err := s.owner(ctx, in.UserName)
	return &iamapi.ListServiceSpecificCredentialsOutput{ServiceSpecificCredentials: []iamapi.ServiceSpecificCredentialMetadata{}}, err
}

// ListVirtualMFADevices lists the account's virtual MFA devices: none.
func (s *Service) ListVirtualMFADevices(context.Context, *iamapi.ListVirtualMFADevicesInput) (*iamapi.ListVirtualMFADevicesOutput, error) {
	return &iamapi.ListVirtualMFADevicesOutput{VirtualMFADevices: []iamapi.VirtualMFADevice{}, IsTruncated: aws.Ptr(false)}, nil
}
