{{- define "sallyport.selector" -}}
app.kubernetes.io/name: sallyport-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "sallyport.labels" -}}
{{ include "sallyport.selector" . }}
app.kubernetes.io/part-of: sallyport
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* Namespaces that no webhook about pods looks into: ours, which must start without itself, and the cluster's. */}}
{{- define "sallyport.exemptNamespaces" -}}
{{- $all := concat (list .Release.Namespace) .Values.webhooks.exemptNamespaces | uniq -}}
{{- toJson $all -}}
{{- end }}

{{/* How the API server reaches a webhook. The operator adds caBundle, as field manager of its own. */}}
{{- define "sallyport.webhook" -}}
admissionReviewVersions: [v1]
sideEffects: None
matchPolicy: Equivalent
timeoutSeconds: {{ .root.Values.webhooks.timeoutSeconds }}
clientConfig:
  service: { name: sallyport-operator, namespace: {{ .root.Release.Namespace }}, path: {{ .path }}, port: 443 }
{{- end }}

{{/* Which pods a webhook sees: those of enforced namespaces, or those of the others. */}}
{{- define "sallyport.places" -}}
rules:
- { apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods], scope: Namespaced }
namespaceSelector:
  matchExpressions:
  - { key: kubernetes.io/metadata.name, operator: NotIn, values: {{ include "sallyport.exemptNamespaces" .root }} }
  - { key: sallyport.dev/enforce, operator: {{ eq .place "enforced" | ternary "In" "NotIn" }}, values: ["true"] }
{{- end }}
