metadata description = 'Types that several modules share.'

@export()
@description('Resource tags.')
type tagSet = {
  @description('A tag.')
  *: string
}

@export()
@description('Where a resource may be reached from: everywhere with a token, or only through private endpoints.')
type networkAccess = 'public' | 'private'

@export()
@description('What kind of principal a role is given to.')
type principalType = 'User' | 'Group' | 'ServicePrincipal'
