//! The columns of each table, in the order in which records carry them.
//!
//! From Microsoft's schema reference and, where records of the wire are known, from those: the time and the device come last
//! there, behind everything long. Streams carry the columns that are generally available; a null is written out.

/// Table and columns; `*` stands for `InitiatingProcess`.
pub(super) const COLUMNS: [(&str, &str); 30] = [
    ("AlertInfo", "Timestamp AlertId Title Category Severity ServiceSource DetectionSource AttackTechniques MachineGroup"),
    (
        "AlertEvidence",
        "Timestamp AlertId EntityType EvidenceRole SHA1 SHA256 RemoteIP LocalIP RemoteUrl AccountName AccountDomain \
         AccountSid AccountObjectId DeviceId ThreatFamily EvidenceDirection AdditionalFields MachineGroup \
         NetworkMessageId ServiceSource FileName FolderPath ProcessCommandLine EmailSubject ApplicationId Application \
         DeviceName FileSize RegistryKey RegistryValueName RegistryValueData AccountUpn OAuthApplicationId Categories \
         Title AttackTechniques DetectionSource Severity CloudResource CloudPlatform ResourceType ResourceID \
         SubscriptionId",
    ),
    (
        "BehaviorInfo",
        "Timestamp BehaviorId ActionType Description Categories AttackTechniques ServiceSource DetectionSource \
         DataSources DeviceId AccountUpn AccountObjectId StartTime EndTime AdditionalFields",
    ),
    (
        "BehaviorEntities",
        "Timestamp BehaviorId ActionType Categories ServiceSource DetectionSource DataSources EntityType EntityRole \
         DetailedEntityRole FileName FolderPath SHA1 SHA256 FileSize ThreatFamily RemoteIP RemoteUrl AccountName \
         AccountDomain AccountSid AccountObjectId AccountUpn DeviceId DeviceName LocalIP NetworkMessageId EmailSubject \
         EmailClusterId Application ApplicationId OAuthApplicationId ProcessCommandLine RegistryKey RegistryValueName \
         RegistryValueData AdditionalFields",
    ),
    (
        "DeviceEvents",
        "DeviceId DeviceName ReportId *Id *CreationTime *CommandLine *ParentFileName *ParentId *ParentCreationTime *SHA1 \
         *MD5 *FileName *FolderPath *AccountName *AccountDomain SHA1 MD5 FileName FolderPath AccountName AccountDomain \
         AdditionalFields *AccountSid AppGuardContainerId *SHA256 SHA256 RemoteUrl ProcessCreationTime \
         ProcessTokenElevation ActionType FileOriginUrl FileOriginIP *LogonId AccountSid RemoteDeviceName RegistryKey \
         RegistryValueName RegistryValueData LogonId LocalIP LocalPort RemoteIP RemotePort ProcessId ProcessCommandLine \
         *AccountUpn *AccountObjectId FileSize *FileSize *VersionInfoCompanyName *VersionInfoProductName \
         *VersionInfoProductVersion *VersionInfoInternalFileName *VersionInfoOriginalFileName *VersionInfoFileDescription \
         *SessionId IsInitiatingProcessRemoteSession *RemoteSessionDeviceName *RemoteSessionIP CreatedProcessSessionId \
         IsProcessRemoteSession ProcessRemoteSessionDeviceName ProcessRemoteSessionIP *UniqueId Timestamp MachineGroup",
    ),
    (
        "DeviceFileCertificateInfo",
        "DeviceId DeviceName SHA1 IsSigned SignatureType Signer SignerHash Issuer IssuerHash CertificateSerialNumber \
         CrlDistributionPointUrls CertificateCreationTime CertificateExpirationTime CertificateCountersignatureTime \
         IsTrusted IsRootSignerMicrosoft ReportId Timestamp MachineGroup",
    ),
    (
        "DeviceFileEvents",
        "DeviceId DeviceName ActionType FileName FolderPath SHA1 SHA256 MD5 FileOriginUrl FileOriginReferrerUrl \
         FileOriginIP PreviousFolderPath PreviousFileName FileSize *AccountDomain *AccountName *AccountSid *AccountUpn \
         *AccountObjectId *MD5 *SHA1 *SHA256 *FolderPath *FileName *FileSize *VersionInfoCompanyName \
         *VersionInfoProductName *VersionInfoProductVersion *VersionInfoInternalFileName *VersionInfoOriginalFileName \
         *VersionInfoFileDescription *Id *CommandLine *CreationTime *IntegrityLevel *TokenElevation *ParentId \
         *ParentFileName *ParentCreationTime RequestProtocol RequestSourceIP RequestSourcePort RequestAccountName \
         RequestAccountDomain RequestAccountSid ShareName SensitivityLabel SensitivitySubLabel \
         IsAzureInfoProtectionApplied ReportId AppGuardContainerId AdditionalFields *SessionId \
         IsInitiatingProcessRemoteSession *RemoteSessionDeviceName *RemoteSessionIP *UniqueId Timestamp MachineGroup",
    ),
    (
        "DeviceImageLoadEvents",
        "DeviceId DeviceName ActionType FileName FolderPath SHA1 SHA256 MD5 FileSize *AccountDomain *AccountName \
         *AccountSid *AccountUpn *AccountObjectId *IntegrityLevel *TokenElevation *SHA1 *SHA256 *MD5 *FileName *FileSize \
         *VersionInfoCompanyName *VersionInfoProductName *VersionInfoProductVersion *VersionInfoInternalFileName \
         *VersionInfoOriginalFileName *VersionInfoFileDescription *Id *CommandLine *CreationTime *FolderPath *ParentId \
         *ParentFileName *ParentCreationTime ReportId AppGuardContainerId *SessionId IsInitiatingProcessRemoteSession \
         *RemoteSessionDeviceName *RemoteSessionIP *UniqueId Timestamp MachineGroup",
    ),
    (
        "DeviceInfo",
        "DeviceId DeviceName ClientVersion PublicIP OSArchitecture OSPlatform OSBuild IsAzureADJoined JoinType \
         AadDeviceId LoggedOnUsers RegistryDeviceTag OSVersion ReportId OnboardingStatus AdditionalFields DeviceCategory \
         DeviceType DeviceSubtype Model Vendor OSDistribution OSVersionInfo MergedDeviceIds MergedToDeviceId \
         IsInternetFacing SensorHealthState IsExcluded ExclusionReason ExposureLevel AssetValue DeviceManualTags \
         DeviceDynamicTags ConnectivityType HostDeviceId AzureResourceId AwsResourceName GcpFullResourceName \
         MitigationStatus HardwareUuid AzureVmId AzureVmSubscriptionId CloudPlatforms IsTransient OsBuildRevision \
         Timestamp MachineGroup",
    ),
    (
        "DeviceLogonEvents",
        "AccountName AccountDomain LogonType DeviceName DeviceId ReportId AccountSid AppGuardContainerId LogonId RemoteIP \
         RemotePort RemoteDeviceName ActionType *Id *CreationTime *FileName *FolderPath *SHA1 *SHA256 *MD5 *CommandLine \
         *AccountName *AccountDomain *AccountSid *TokenElevation *IntegrityLevel *ParentId *ParentCreationTime \
         *ParentFileName AdditionalFields RemoteIPType IsLocalAdmin *AccountUpn *AccountObjectId Protocol FailureReason \
         *FileSize *VersionInfoCompanyName *VersionInfoProductName *VersionInfoProductVersion \
         *VersionInfoInternalFileName *VersionInfoOriginalFileName *VersionInfoFileDescription *SessionId \
         IsInitiatingProcessRemoteSession *RemoteSessionDeviceName *RemoteSessionIP *UniqueId Timestamp MachineGroup",
    ),
    (
        "DeviceNetworkEvents",
        "DeviceName DeviceId ReportId RemoteIP RemotePort LocalIP LocalPort Protocol RemoteUrl *CreationTime *Id \
         *CommandLine *ParentCreationTime *ParentId *ParentFileName *SHA1 *MD5 *FolderPath *AccountName *AccountDomain \
         *AccountSid *FileName *IntegrityLevel *TokenElevation AppGuardContainerId LocalIPType RemoteIPType ActionType \
         *SHA256 *AccountUpn *AccountObjectId AdditionalFields *FileSize *VersionInfoCompanyName *VersionInfoProductName \
         *VersionInfoProductVersion *VersionInfoInternalFileName *VersionInfoOriginalFileName *VersionInfoFileDescription \
         *SessionId IsInitiatingProcessRemoteSession *RemoteSessionDeviceName *RemoteSessionIP *UniqueId Timestamp \
         MachineGroup",
    ),
    (
        "DeviceNetworkInfo",
        "DeviceId DeviceName ReportId NetworkAdapterName NetworkAdapterType NetworkAdapterStatus TunnelType \
         ConnectedNetworks DnsAddresses DefaultGateways MacAddress IPv4Dhcp IPv6Dhcp IPAddresses NetworkAdapterVendor \
         Timestamp MachineGroup",
    ),
    (
        "DeviceProcessEvents",
        "*SHA1 *FileSize *MD5 *FileName *ParentFileName *FolderPath *CommandLine SHA1 FileSize MD5 FolderPath \
         ProcessCommandLine FileName ProcessId *Id ProcessCreationTime DeviceName DeviceId *CreationTime *AccountName \
         *AccountDomain *AccountSid *SignatureStatus *SignerType *ParentId ReportId *ParentCreationTime *TokenElevation \
         *IntegrityLevel AccountDomain AccountName ProcessTokenElevation ProcessIntegrityLevel AccountSid \
         AppGuardContainerId SHA256 *SHA256 *LogonId LogonId *AccountUpn *AccountObjectId AccountUpn AccountObjectId \
         AdditionalFields *VersionInfoCompanyName *VersionInfoProductName *VersionInfoProductVersion \
         *VersionInfoInternalFileName *VersionInfoOriginalFileName *VersionInfoFileDescription \
         ProcessVersionInfoCompanyName ProcessVersionInfoProductName ProcessVersionInfoProductVersion \
         ProcessVersionInfoInternalFileName ProcessVersionInfoOriginalFileName ProcessVersionInfoFileDescription \
         *SessionId CreatedProcessSessionId IsInitiatingProcessRemoteSession *RemoteSessionDeviceName *RemoteSessionIP \
         IsProcessRemoteSession ProcessRemoteSessionDeviceName ProcessRemoteSessionIP *UniqueId ProcessUniqueId \
         ActionType Timestamp MachineGroup",
    ),
    (
        "DeviceRegistryEvents",
        "DeviceName DeviceId ReportId RegistryKey RegistryValueName RegistryValueType RegistryValueData \
         PreviousRegistryValueData *SHA1 *FileSize *MD5 *FileName *ParentFileName *FolderPath *CommandLine *CreationTime \
         *ParentCreationTime *AccountName *AccountDomain *AccountSid *ParentId *Id *IntegrityLevel *TokenElevation \
         PreviousRegistryKey PreviousRegistryValueName AppGuardContainerId ActionType *SHA256 *AccountUpn \
         *AccountObjectId *VersionInfoCompanyName *VersionInfoProductName *VersionInfoProductVersion \
         *VersionInfoInternalFileName *VersionInfoOriginalFileName *VersionInfoFileDescription *SessionId \
         IsInitiatingProcessRemoteSession *RemoteSessionDeviceName *RemoteSessionIP *UniqueId Timestamp MachineGroup",
    ),
    (
        "EmailAttachmentInfo",
        "Timestamp NetworkMessageId SenderFromAddress SenderDisplayName SenderObjectId RecipientEmailAddress \
         RecipientObjectId FileName FileType SHA256 FileSize ThreatTypes ThreatNames DetectionMethods ReportId \
         FileExtension",
    ),
    (
        "EmailEvents",
        "Timestamp NetworkMessageId InternetMessageId SenderMailFromAddress SenderFromAddress SenderDisplayName \
         SenderObjectId SenderMailFromDomain SenderFromDomain SenderIPv4 SenderIPv6 RecipientEmailAddress \
         RecipientObjectId Subject EmailClusterId EmailDirection DeliveryAction DeliveryLocation ThreatTypes ThreatNames \
         DetectionMethods ConfidenceLevel BulkComplaintLevel EmailAction EmailActionPolicy EmailActionPolicyGuid \
         AuthenticationDetails AttachmentCount UrlCount EmailLanguage Connectors OrgLevelAction OrgLevelPolicy \
         UserLevelAction UserLevelPolicy ReportId AdditionalFields ExchangeTransportRule DistributionList \
         ForwardingInformation Context To Cc ThreatClassification RecipientDomain EmailSize IsFirstContact",
    ),
    (
        "EmailPostDeliveryEvents",
        "ReportId NetworkMessageId RecipientEmailAddress Timestamp ActionType ActionResult Action DeliveryLocation \
         ActionTrigger InternetMessageId ThreatTypes DetectionMethods SenderFromAddress EmailDirection",
    ),
    ("EmailUrlInfo", "ReportId NetworkMessageId Timestamp Url UrlDomain UrlLocation UrlChainId UrlChainPosition"),
    (
        "UrlClickEvents",
        "Timestamp Url ActionType AccountUpn Workload NetworkMessageId ThreatTypes DetectionMethods IPAddress \
         IsClickedThrough UrlChain ReportId AppName AppVersion SourceId",
    ),
    (
        "MessageEvents",
        "Timestamp LastEditedTime TeamsMessageId SenderEmailAddress SenderDisplayName SenderObjectId SenderType \
         RecipientDetails IsOwnedThread MessageId ParentMessageId GroupId GroupName ThreadId ThreadName ThreadType \
         ThreadSubType IsExternalThread MessageType MessageSubtype MessageVersion Subject ThreatTypes DetectionMethods \
         ConfidenceLevel DeliveryAction DeliveryLocation ReportId SafetyTip",
    ),
    (
        "MessagePostDeliveryEvents",
        "Timestamp TeamsMessageId Action ActionType ActionTrigger ActionResult SenderEmailAddress RecipientDetails \
         ThreadTypes ConfidenceLevel DetectionMethods LatestDeliveryLocation ReportId IsExternalThread",
    ),
    ("MessageUrlInfo", "Timestamp TeamsMessageId Url UrlDomain ReportId"),
    (
        "IdentityDirectoryEvents",
        "ActionType TargetAccountUpn TargetAccountDisplayName TargetDeviceName DestinationDeviceName DestinationIPAddress \
         DestinationPort Protocol AccountName AccountDomain AccountUpn AccountSid AccountObjectId AccountDisplayName \
         DeviceName IPAddress Port Location ISP AdditionalFields ReportId Timestamp Application",
    ),
    (
        "IdentityInfo",
        "AccountObjectId AccountUpn OnPremSid AccountDisplayName AccountName CloudSid GivenName Surname Department \
         JobTitle EmailAddress SipProxyAddress Address City Country IsAccountEnabled AccountDomain BlastRadius \
         ChangeSource CompanyName DeletedDateTime EmployeeId Manager Phone RiskLevel RiskLevelDetails State Tags \
         UserAccountControl Timestamp ReportId CreatedDateTime DistinguishedName SourceProvider OtherMailAddresses \
         CriticalityLevel Type IdentityId SourceProviders IdentityEnvironment OnPremObjectId PrivilegedEntraPimRoles",
    ),
    (
        "IdentityLogonEvents",
        "ActionType LogonType Protocol AccountDisplayName AccountUpn AccountName AccountDomain AccountSid AccountObjectId \
         IPAddress Location DeviceName OSPlatform DeviceType ISP DestinationDeviceName TargetDeviceName FailureReason \
         Port DestinationPort DestinationIPAddress TargetAccountDisplayName AdditionalFields UncommonForUser \
         LastSeenForUser ReportId Timestamp Application",
    ),
    (
        "IdentityQueryEvents",
        "ActionType QueryType QueryTarget Query Protocol AccountName AccountDomain AccountUpn AccountSid AccountObjectId \
         AccountDisplayName DeviceName IPAddress Port DestinationDeviceName DestinationIPAddress DestinationPort \
         TargetDeviceName TargetAccountUpn TargetAccountDisplayName Location AdditionalFields ReportId Timestamp \
         Application",
    ),
    (
        "CloudAppEvents",
        "ActionType ApplicationId AccountDisplayName AccountObjectId AccountId DeviceType OSPlatform IPAddress \
         IsAnonymousProxy CountryCode City ISP UserAgent IsAdminOperation ActivityObjects AdditionalFields ActivityType \
         ObjectName ObjectType ObjectId AppInstanceId AccountType IsExternalUser IsImpersonated IPTags IPCategory \
         UserAgentTags RawEventData UncommonForUser LastSeenForUser SessionData AuditSource OAuthAppId ReportId Timestamp \
         Application",
    ),
    (
        "CloudAuditEvents",
        "AuditSource DataSource ActionType OperationName AzureResourceId AwsResourceName GcpFullResourceName Account \
         IPAddress IsAnonymousProxy CountryCode City ISP UserAgent RawEventData AdditionalFields Timestamp ReportId",
    ),
    (
        "CloudProcessEvents",
        "AzureResourceId AwsResourceName GcpFullResourceName ContainerImageName KubernetesNamespace KubernetesPodName \
         KubernetesResource ContainerName ContainerId ActionType FileName FolderPath ProcessId ProcessName \
         ParentProcessName ParentProcessId ProcessCommandLine ProcessCreationTime ProcessCurrentWorkingDirectory \
         AccountName LogonId *Id AdditionalFields Timestamp ReportId",
    ),
    (
        "CloudStorageAggregatedEvents",
        "DataAggregationStartTime DataAggregationEndTime DataSource SubscriptionId ResourceGroup StorageAccount \
         StorageContainer StorageFileShare ServiceType IPAddress UserAgentHeader OperationNamesList AuthenticationType \
         AccountObjectId AccountTenantId AccountApplicationId AccountUpn AccountType OperationsCount \
         SuccessfulOperationsCount FailedOperationsCount TotalResponseLength SuccessfulReadOperations \
         DistinctGetOperations AnonymousSuccessfulOperations HasAnonymousResourceNotFoundFailures Md5Hashes \
         AzureResourceId Location ActionType AdditionalFields Timestamp ReportId",
    ),
];
