{{- define "canteen.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "canteen.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "canteen.labels" -}}
{{ include "canteen.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "canteen.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* Every name of the service: another Host is refused. */}}
{{- define "canteen.hosts" -}}
{{- $name := include "canteen.name" . -}}
{{- $space := .Release.Namespace -}}
{{- $own := list $name (printf "%s.%s" $name $space) (printf "%s.%s.svc" $name $space) (printf "%s.%s.svc.cluster.local" $name $space) -}}
{{ concat $own .Values.allowedHosts | join "," }}
{{- end }}

{{- define "canteen.weightMounts" -}}
{{- if or .Values.weights.existingClaim .Values.weights.image }}
- {name: weights, mountPath: /var/lib/canteen/models, subPath: models, readOnly: true}
- {name: weights, mountPath: /var/lib/canteen/prepared, subPath: prepared, readOnly: true}
{{- end }}
{{- end }}

{{- define "canteen.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}
